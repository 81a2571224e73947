"""How it is read from outside: bars as frames; later the HTTP and WebSocket API."""
