"""What a feature is: aggregations, time windows and the declarations that use them."""
