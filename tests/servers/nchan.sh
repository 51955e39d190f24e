#!/usr/bin/env bash
# nginx with the nchan module. Usage: nchan.sh install | installed | start PORT FOLDER [PORT2], where PORT2 speaks HTTP/2
set -euo pipefail

MODULE=/usr/lib/nginx/modules/ngx_nchan_module.so
# A stream begins with what is published once it is there. Polls begin where they ask for, so they need nothing said.
NEWEST='nchan_subscriber_first_message newest;'
export PATH=$PATH:/usr/sbin

installed() { command -v nginx >/dev/null && [ -e "$MODULE" ]; }

install() {
  installed && return
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  # The package would start a server of its own on port 80.
  $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
    nginx libnginx-mod-nchan >/dev/null
}

# A channel for each name, and a URL for each way to hear it; /pub/NAME publishes. WORKERS: nginx's processes (1).
start() {
  local port=$1 folder two=
  folder=$(cd "$2" && pwd)
  [ -z "${3:-}" ] || two="listen 127.0.0.1:$3 http2 backlog=4096;"
  # A worker that isn't root's has to get at its files.
  chmod 755 "$folder"
  cat >"$folder/nginx.conf" <<CONF
daemon off; worker_processes ${WORKERS:-1}; worker_rlimit_nofile 20000;
pid $folder/nginx.pid; error_log $folder/error.log notice;
load_module $MODULE;
events { worker_connections 8192; }
http {
  log_format counts '\$uri \$status \$bytes_sent';
  access_log $folder/access.log counts;
  keepalive_timeout 75s; keepalive_requests 100000000;
  client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
  client_body_buffer_size 64k; client_max_body_size 1m;
  nchan_message_buffer_length 1000; nchan_message_timeout 60s; nchan_subscriber_timeout 25s;
  server {
    listen 127.0.0.1:$port backlog=4096; $two
    location = /status { nchan_stub_status; }
    location ~ ^/pub/([\w-]+)\$ { nchan_publisher http; nchan_channel_id \$1; }
    location ~ ^/ws/([\w-]+)\$ { nchan_pubsub websocket; nchan_channel_id \$1; $NEWEST }
    location ~ ^/sse/([\w-]+)\$ {
      nchan_subscriber eventsource; nchan_channel_id \$1; $NEWEST nchan_eventsource_ping_interval 1s;
    }
    location ~ ^/raw/([\w-]+)\$ { nchan_subscriber http-raw-stream; nchan_channel_id \$1; $NEWEST }
    location ~ ^/lp/([\w-]+)\$ { nchan_subscriber longpoll; nchan_channel_id \$1; }
    location ~ ^/lpm/([\w-]+)\$ { nchan_subscriber longpoll; nchan_channel_id \$1; nchan_longpoll_multipart_response on; }
    location ~ ^/poll/([\w-]+)\$ { nchan_subscriber intervalpoll; nchan_channel_id \$1; }
    # All in one: what the request's headers ask for.
    location ~ ^/room/([\w-]+)\$ {
      nchan_publisher http websocket; nchan_subscriber websocket eventsource longpoll; nchan_channel_id \$1; $NEWEST
    }
    # A poll that waits for a second is answered with 408.
    location ~ ^/brief/([\w-]+)\$ { nchan_subscriber longpoll; nchan_channel_id \$1; nchan_subscriber_timeout 1s; }
    # One message is kept and no more: who polls too seldom has missed the others.
    location ~ ^/forgetful/pub/([\w-]+)\$ { nchan_publisher http; nchan_channel_id f-\$1; nchan_message_buffer_length 1; }
    location ~ ^/forgetful/(ws|poll)/([\w-]+)\$ {
      nchan_pubsub websocket intervalpoll; nchan_channel_id f-\$2; nchan_message_buffer_length 1; $NEWEST
    }
  }
}
CONF
  exec nginx -c "$folder/nginx.conf" -e "$folder/error.log"
}

case ${1:-} in
  install) install ;;
  installed) installed ;;
  start) start "$2" "$3" "${4:-}" ;;
  *) echo "usage: $0 install | installed | start PORT FOLDER [PORT2]" >&2; exit 2 ;;
esac
