"""How long a migration will take: ranges of the table copied and compared in a scratch ghost, and a model fed with that."""
