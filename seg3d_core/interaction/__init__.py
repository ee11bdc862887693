"""One object after another, by clicks: what a person means, asked of a model, refined, undone, accepted."""
