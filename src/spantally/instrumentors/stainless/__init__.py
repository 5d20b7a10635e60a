"""What is common to the clients that the Stainless generator makes (openai, anthropic, ...).

They send every request through one ``request()``, retry inside it and stream through one class; an SDK adds
only what goes over its wire.
"""
