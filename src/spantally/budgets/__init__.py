"""Budgets and loop guards: what a program allows itself, and what happens when that is used up."""
