"""Studies: many searches in one go, and what is kept of them."""
