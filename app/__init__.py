"""Vipps MobilePay recurring payments for Saleor shops."""

__version__ = "0.1.0"
