"""Vipps MobilePay as they write it: the way there, one file per API version, webhooks, and a simulator."""
