"""Typed rows as text for people: numbers, tables, trees and bars. Nothing here reads a ledger."""
