"""How the commands of ``matloop`` are called: arguments, options and help texts, a module for each group."""
