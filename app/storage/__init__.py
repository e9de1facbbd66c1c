"""The database: tables, the repositories that map them to the domain, secrets at rest, migrations."""
