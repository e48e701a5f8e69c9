"""Facts about elements that age: rules, lists of critical materials, prices, each with its source and expiry."""
