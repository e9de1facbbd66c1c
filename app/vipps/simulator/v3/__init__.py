"""v3 of the Recurring API: a second view on the same agreements and charges."""
