"""What may be asked of an open vault, a module for each kind of command; the table: `node.vault.desk`."""
