/*
 * relay.c - what the fuzzer calls of the relay. Messages go to the function that libmosquitto would
 * call, and a socket stands in for the server.
 */

#define main relay_main
#define fail fail_to_start
#include "../../src/relay/chatRelay.c"
#undef fail
#include "../../src/relay/broker.c"

#include <stdarg.h>
#include <unistd.h>

static struct relay relay;
static int server = -1; /* the server's end of the connection */

/* ---- In place of log.c ---- */

static char told[1 << 16]; /* the log of lost lines */
static uint64_t warnings;  /* about other relays */

int log_reserve(void)
{
	return 0;
}

int log_open(bool quiet)
{
	return quiet ? 0 : -1;
}

void log_text(int priority, const char *format, ...)
{
	const size_t length = strlen(told);
	va_list arguments;

	(void)priority;
	va_start(arguments, format);
	vsnprintf(told + length, sizeof told - length, format, arguments);
	va_end(arguments);
	strcat(told, "\n");
}

void log_warning(const char *address, const char *what, const char *why)
{
	warnings += address != NULL && *what != '\0' && *why != '\0';
}

bool log_flush(void)
{
	return false;
}

uint64_t log_dropped(void)
{
	return 0;
}

/* ---- What the fuzzer calls ---- */

struct figures {
	uint64_t lines_in, lost_in, doubled, loops, warnings;
};

static void connect_to_server(void)
{
	const int size = 4096;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == -1 ||
	    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == -1)
		abort();
	relay.room.sd = ends[0];
	relay.room.is_connected = relay.room.is_settled = true;
	server = ends[1];
}

/* Begins anew, as the relay with this name. The connection to the server stays. */
void fuzz_begin(const char *id, bool is_old)
{
	const int sd = relay.room.sd;

	free(relay.room.out);
	memset(&relay, 0, sizeof relay);
	relay.room.spool = &relay.spool;
	relay.room.addresses = &relay.options.server;
	relay.room.backoff = RETRY_US;
	strcpy(relay.options.id, id);
	relay.broker = (struct broker){ .options = &relay.options,
		                        .hear = hear,
		                        .context = &relay,
		                        .filter = "chat/room/+",
		                        .is_old = is_old };
	warnings = 0;
	relay.room.sd = sd;
	relay.room.is_connected = relay.room.is_settled = true;
	if (server == -1)
		connect_to_server();
}

/* Passes on a message with user properties, each a name and a value; and one of another kind. */
void fuzz_message(const char *topic, bool retain, char *payload, int length,
                  const char *const *properties, size_t count)
{
	struct mosquitto_message message = {
		.topic = (char *)topic, .payload = payload, .payloadlen = length, .retain = retain
	};
	mosquitto_property *list = NULL;
	size_t at;

	if (count > 0 &&
	    mosquitto_property_add_int32(&list, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, 60) != 0)
		abort();
	for (at = 0; at < count; at += 2)
		if (mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY,
		                                       properties[at], properties[at + 1]) != 0)
			abort();
	on_message(NULL, &relay.broker, &message, list);
	mosquitto_property_free_all(&list);
}

/* Sends what the server takes, and returns how much of it has arrived there. */
size_t fuzz_flush(char *heard, size_t size)
{
	ssize_t count;

	room_flush(&relay.room);
	count = read(server, heard, size);
	return count > 0 ? (size_t)count : 0;
}

/* Has the server leave, and connects to a new one. */
void fuzz_lose_server(void)
{
	fd_set readable, none;

	close(server);
	FD_ZERO(&readable);
	FD_ZERO(&none);
	FD_SET(relay.room.sd, &readable);
	room_serve(&relay.room, &readable, &none);
	if (relay.room.sd != -1)
		abort();
	connect_to_server();
}

/* What waits for the server. */
const char *fuzz_waiting(size_t *length)
{
	*length = relay.room.out_length - relay.room.out_sent;
	return *length > 0 ? relay.room.out + relay.room.out_sent : "";
}

struct figures fuzz_figures(void)
{
	return (struct figures){ .lines_in = relay.lines_in,
		                 .lost_in = relay.lost_in + relay.room.unlogged,
		                 .doubled = relay.doubled,
		                 .loops = relay.broker.loops,
		                 .warnings = warnings };
}

/* What is logged of lost lines. */
const char *fuzz_tell(void)
{
	*told = '\0';
	log_losses(&relay);
	return told;
}
