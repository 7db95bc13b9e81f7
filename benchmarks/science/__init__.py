"""What the methods find, on data whose truth is known: a module for each capability."""
