"""What Saleor accepts in an app's manifest, by version."""
