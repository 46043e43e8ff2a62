"""Generators behind the roles of the synthesis: here (diffusers) or in an environment of their own."""
