"""Reports about one account: the business review and the success plan."""
