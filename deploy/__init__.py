"""How it is installed and run: JVM jars, the local stack, the warehouse server."""
