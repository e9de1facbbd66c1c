"""The rules of recurring payments; nothing here knows a framework, a database or a vendor's wire format."""
