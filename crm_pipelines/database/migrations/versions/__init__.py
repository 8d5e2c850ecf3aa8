"""The migrations, by number. Each only adds."""
