"""A WebSocket echo server on the uWebSockets core by way of PyPI's socketify: echo.py PORT. Binds the loopback alone. Of the
first session and of every hundredth it prints `opened COUNT NANOSECONDS` when its handshake is done; COUNT begins anew once
all have left."""
import sys
import time

from socketify import App, AppListenOptions, CompressOptions

opened = live = 0


def on_open(_):
    global opened, live
    opened, live = (opened + 1 if live else 1), live + 1
    if opened == 1 or opened % 100 == 0:
        print("opened", opened, time.monotonic_ns(), flush=True)


def on_close(*_):
    global live
    live -= 1


app = App()
app.ws("/*", {
    "compression": CompressOptions.DISABLED,
    "max_payload_length": 16 * 1024 * 1024,
    "idle_timeout": 120,
    "open": on_open,
    "message": lambda ws, message, opcode: ws.send(message, opcode),
    "close": on_close,
})
app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"), lambda _: None)
app.run()
