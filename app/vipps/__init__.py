"""Vipps MobilePay as they write it: transport, errors, one file per API version, and a simulator."""
