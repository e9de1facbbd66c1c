"""The Webhooks API: who wants to hear of what, and the sender that tells them."""
