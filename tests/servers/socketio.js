// A server as a Socket.IO application has one: rooms, echo with acknowledgement, and its own counters at /counters. At a second port it speaks HTTP/2.
//
// `/` takes everyone, `/guarded` those who know the password, `/brief` sends everyone away after half a second.
const seen = { opened: 0, upgraded: 0, joined: 0, echoed: 0, said: 0, heartbeats: 0, closed: {} };

const http = require("http").createServer((request, response) => {
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(seen));
});
const { Server } = require("socket.io");
const io = new Server(http, {
  pingInterval: Number(process.env.PING_INTERVAL || 500),
  pingTimeout: 20000,
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
});

io.engine.on("connection", (connection) => {
  seen.opened += 1;
  connection.on("heartbeat", () => (seen.heartbeats += 1));
  connection.on("upgrade", () => (seen.upgraded += 1));
  connection.on("close", (reason) => (seen.closed[reason] = (seen.closed[reason] || 0) + 1));
});

function serve(namespace) {
  namespace.on("connection", (socket) => {
    socket.on("echo", (message, answer) => {
      seen.echoed += 1;
      if (answer) answer(message);
      else socket.emit("echo", message);
    });
    socket.on("join", (room, answer) => {
      seen.joined += 1;
      socket.join(room);
      if (answer) answer("ok");
      // What an application says besides.
      socket.emit("welcome", { room });
      socket.emit("picture", Buffer.from([1, 2, 3]), { of: Buffer.from([4]) });
    });
    socket.on("say", ({ room, msg }, answer) => {
      seen.said += 1;
      namespace.to(room).emit("said", { from: socket.id, msg });
      if (answer) answer();
    });
  });
}

serve(io.of("/"));
const guarded = io.of("/guarded");
guarded.use((socket, next) => next(socket.handshake.auth.password === "open sesame" ? undefined : new Error("Not authorized")));
serve(guarded);
const brief = io.of("/brief");
serve(brief);
brief.on("connection", (socket) => setTimeout(() => socket.disconnect(true), 500));

http.keepAliveTimeout = 75000;
http.listen(Number(process.argv[2]), "127.0.0.1", 4096);
if (process.argv[3]) {
  const two = require("http2").createServer();
  io.attach(two);
  two.listen(Number(process.argv[3]), "127.0.0.1", 4096);
}
