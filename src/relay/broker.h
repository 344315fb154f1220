/* broker.h - the relay as a client of the broker, by libmosquitto. */

#ifndef BROKER_H
#define BROKER_H

#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

#include "options.h"
#include "spool.h"
#include "trouble.h"

/* TAKEOVERS: so many within a short time are by another relay, which has the same name. */
enum { TAKEOVERS = 3 };

/* At most so many messages are handed over and not confirmed. */
enum { AT_ONCE = 16 };

enum broker_state { BROKER_DOWN, BROKER_CONNECTING, BROKER_CONNECTED, BROKER_SUBSCRIBED };

/* Called with each message of another relay. The stamp is NULL where it has none. */
typedef void hear_fn(void *context, const char *name, const struct stamp *stamp, char *text,
                     size_t length);

struct broker {
	struct mosquitto *client;
	struct options *options;
	struct spool *spool; /* for what is to be published */
	hear_fn *hear;
	void *context;
	char topic[2 * NAME_SIZE + 8], filter[NAME_SIZE + 8];
	enum broker_state state;
	bool is_old;         /* it has no MQTT 5 */
	bool is_new_session; /* it has forgotten all subscriptions */
	bool has_looped;     /* that has been logged */
	bool has_more;       /* TLS may have more than select() can see */
	bool is_taken;       /* another relay has our name: never connect again */
	int64_t connect_at, give_up_at, serve_at, subscribe_at, publish_at, look_after_at;
	int64_t backoff, patience;
	int64_t cut_at[TAKEOVERS];
	struct trouble trouble;
	struct in_flight {
		int id;
		uint64_t lines;
	} sent[AT_ONCE]; /* handed over and not confirmed */
	unsigned int in_flight;
	uint64_t connections, loops, lines_out, calls; /* calls: of the functions set */
};

/* Sets libmosquitto up. On failure prints why on standard error and returns -1. */
int broker_init(struct broker *broker);

/* Connects if it is time. Adds what is to be watched to the sets, and lowers *due to the time when
 * the relay has to look again. It is not to be read if `hold`. */
void broker_prepare(struct broker *broker, bool hold, fd_set *readable, fd_set *writable,
                    int64_t *due);

/* Hears what is ready, and publishes what is spooled. */
void broker_serve(struct broker *broker, bool hold, const fd_set *readable, const fd_set *writable);

/* Counts the lines that have been handed over and not confirmed. */
uint64_t broker_unconfirmed(const struct broker *broker);

void broker_close(struct broker *broker);

#endif /* BROKER_H */
