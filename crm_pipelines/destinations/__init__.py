"""What the database knows of each destination: who delivers there, its gate, and what its account takes."""
