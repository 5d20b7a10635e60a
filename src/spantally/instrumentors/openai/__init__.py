"""instrumentors/openai."""
