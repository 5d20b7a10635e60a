"""The checks of `spantally doctor`: each looks at one thing and returns findings; none raises or changes."""
