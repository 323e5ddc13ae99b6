"""The character-level ablations: one small GPT, trained with and without each part."""
