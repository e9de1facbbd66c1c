"""The GraphQL extension that storefronts, staff and machines call; Strawberry lives here and nowhere else."""
