// A WebSocket echo server on the uWebSockets core: echo PORT. Binds the loopback alone. Of the first session and of every
// hundredth it prints `opened COUNT NANOSECONDS` when its handshake is done; COUNT begins anew once all have left.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "App.h"

struct Nothing {};

int main(int argc, char **argv) {
    int port = argc > 1 ? std::atoi(argv[1]) : 9001;
    long opened = 0, live = 0;
    uWS::App()
        .ws<Nothing>("/*", {
            .compression = uWS::DISABLED,
            .maxPayloadLength = 16 * 1024 * 1024,
            .idleTimeout = 120,
            .open = [&](auto *) {
                opened = live++ ? opened + 1 : 1;
                if (opened > 1 && opened % 100) return;
                std::chrono::nanoseconds now = std::chrono::steady_clock::now().time_since_epoch();
                std::printf("opened %ld %lld\n", opened, (long long)now.count());
                std::fflush(stdout);
            },
            .message = [](auto *ws, std::string_view message, uWS::OpCode code) { ws->send(message, code); },
            .close = [&](auto *, int, std::string_view) { live--; },
        })
        .listen("127.0.0.1", port, [](auto *listening) { if (!listening) std::exit(1); })
        .run();
}
