"""Results for people: tables on screen and in documents, pictures of what the heads do."""
