"""The contacts database: how it is reached and migrated, and how statements are read and repeated."""
