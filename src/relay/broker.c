/* broker.c - see broker.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "broker.h"

#include <err.h>
#include <errno.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../common/clock.h"
#include "../common/log.h"

#define CA_FOLDER "/etc/ssl/certs"

enum { KEEPALIVE_S = 10, SESSION_S = 3600, LONGEST = 1 << 20 };

enum {
	BACKOFF_US = 100000, /* until the next attempt to connect, and twice as long each time */
	MOST_BACKOFF_US = 1000000,
	PATIENCE_US = 1000000, /* with an attempt; the same */
	MOST_PATIENCE_US = 4000000,
	STEP_US = 10000, /* between two looks at an attempt: with TLS it seems ready all the time */
	SETTLE_US = 2000000, /* until the other relays have subscribed, too */
	LOOK_AFTER_US = 1000000,
	TAKEOVERS_US = 5000000
};

/* Counts that the broker has ended the connection. If the next attempts succeed at once, and it
 * does so again and again, another relay with the same name connects. mosquitto gives no reason. */
static void count_cut(struct broker *broker, int64_t now)
{
	int64_t *at = broker->cut_at;

	memmove(at, at + 1, sizeof broker->cut_at - sizeof *at);
	at[TAKEOVERS - 1] = now;
	broker->is_taken = at[0] != 0 && now - at[0] <= TAKEOVERS_US;
}

static void forget_cuts(struct broker *broker)
{
	memset(broker->cut_at, 0, sizeof broker->cut_at);
}

static void fail(struct broker *broker, const char *why)
{
	struct addresses *addresses = &broker->options->broker;
	const bool has_worked = broker->state >= BROKER_CONNECTED;

	if (broker->state == BROKER_DOWN)
		return;
	if (has_worked)
		addresses_retry(addresses);
	else
		forget_cuts(broker);
	broker->state = BROKER_DOWN;
	broker->connect_at = now_us();
	/* Each address may fail for a reason of its own: the last one's is logged. */
	if (has_worked || addresses_all_tried(addresses)) {
		trouble_log(&broker->trouble, "broker", why);
		broker->connect_at += broker->backoff;
	}
	broker->backoff = broker->backoff * 2 < MOST_BACKOFF_US ? broker->backoff * 2
	                                                        : MOST_BACKOFF_US;
	/* libmosquitto sends unconfirmed messages again, but not these. */
	if (broker->options->qos == 0) {
		spool_lose(broker->spool, broker_unconfirmed(broker));
		broker->in_flight = 0;
	}
}

/* Takes the result of a call. Failures that concern the connection end it. */
static void check(struct broker *broker, int result)
{
	if (result == MOSQ_ERR_ERRNO)
		fail(broker, strerror(errno));
	else if (result == MOSQ_ERR_EAI)
		fail(broker, gai_strerror(errno));
	else if (result != MOSQ_ERR_SUCCESS)
		fail(broker, mosquitto_strerror(result));
}

/* ---- What libmosquitto calls ---- */

static void on_connect(struct mosquitto *client, void *context, int reason, int flags,
                       const mosquitto_property *properties)
{
	struct broker *broker = context;

	(void)client, (void)properties;
	if (reason == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION && !broker->is_old) {
		broker->is_old = true;
		fail(broker, "it has no MQTT 5, so what is lost is not told");
		return;
	}
	if (reason != 0) {
		fail(broker, broker->is_old ? mosquitto_connack_string(reason)
		                            : mosquitto_reason_string(reason));
		return;
	}
	broker->state = BROKER_CONNECTED;
	broker->is_new_session = (flags & 1) == 0;
	if (broker->is_new_session)
		forget_cuts(broker);
	broker->backoff = BACKOFF_US;
	broker->patience = PATIENCE_US;
	broker->connections++;
	broker->subscribe_at = broker->look_after_at = now_us();
}

static void on_disconnect(struct mosquitto *client, void *context, int reason,
                          const mosquitto_property *properties)
{
	struct broker *broker = context;

	(void)client, (void)properties;
	if (broker->state >= BROKER_CONNECTED &&
	    (reason == MOSQ_ERR_CONN_LOST || reason == MOSQ_ERR_ERRNO ||
	     reason == MQTT_RC_SESSION_TAKEN_OVER))
		count_cut(broker, now_us());
	fail(broker, reason >= MQTT_RC_UNSPECIFIED ? mosquitto_reason_string(reason)
	                                           : mosquitto_strerror(reason));
}

static void on_subscribe(struct mosquitto *client, void *context, int id, int count,
                         const int *granted, const mosquitto_property *properties)
{
	struct broker *broker = context;
	const int64_t now = now_us();

	(void)client, (void)id, (void)properties;
	broker->calls++;
	if (count < 1 || granted[0] >= MQTT_RC_UNSPECIFIED) {
		trouble_log(&broker->trouble, "broker", "it refuses the subscription");
		broker->subscribe_at = now + LOOK_AFTER_US;
		return;
	}
	trouble_ends(&broker->trouble, "broker");
	broker->state = BROKER_SUBSCRIBED;
	broker->publish_at = now;
	/* After the start, with nothing spooled, that would only delay the first lines. */
	if (broker->is_new_session && (broker->spool->first != NULL || broker->connections > 1))
		broker->publish_at += SETTLE_US;
}

static void on_publish(struct mosquitto *client, void *context, int id, int reason,
                       const mosquitto_property *properties)
{
	struct broker *broker = context;
	struct in_flight *sent = broker->sent, *end = broker->sent + broker->in_flight;

	(void)client, (void)properties;
	broker->calls++;
	while (sent < end && sent->id != id)
		sent++;
	if (sent == end)
		return;
	if (reason >= MQTT_RC_UNSPECIFIED) {
		log_warning(NULL, "broker refuses a message", mosquitto_reason_string(reason));
		spool_lose(broker->spool, sent->lines);
	}
	*sent = broker->sent[--broker->in_flight];
}

/* Looks for the stamp, which is a property `n`. Returns false where memory is short. */
static bool get_stamp(const mosquitto_property *properties, struct stamp *stamp, bool *is_found)
{
	const int user = MQTT_PROP_USER_PROPERTY;
	char *name, *value;

	*is_found = false;
	for (; properties != NULL && !*is_found; properties = mosquitto_property_next(properties)) {
		if (mosquitto_property_identifier(properties) != user)
			continue;
		if (mosquitto_property_read_string_pair(properties, user, &name, &value, false) ==
		    NULL)
			return false;
		*is_found = strcmp(name, "n") == 0 && stamp_parse(value, stamp);
		free(name);
		free(value);
	}
	return true;
}

static void on_message(struct mosquitto *client, void *context,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
	struct broker *broker = context;
	const char *name = strrchr(message->topic, '/');
	struct stamp stamp;
	bool has_stamp, is_ours = false;

	(void)client;
	broker->calls++;
	/* A session that the broker remembers may have other subscriptions. */
	mosquitto_topic_matches_sub(broker->filter, message->topic, &is_ours);
	if (!is_ours || message->retain || message->payloadlen <= 0)
		return;
	if (strcmp(++name, broker->options->id) == 0) {
		if (!broker->has_looped && !broker->is_old)
			log_warning(NULL, "broker",
			            "our own messages come back: a ring of bridges?");
		broker->has_looped = true;
		broker->loops += !broker->is_old;
		return;
	}
	if (message->payloadlen > LONGEST) {
		log_warning(name, "dropped", "a message is too long");
		return;
	}
	/* The next message shows that this one is missing, unless it is the first of its relay. */
	if (!get_stamp(properties, &stamp, &has_stamp)) {
		log_warning(name, "dropped", strerror(ENOMEM));
		return;
	}
	broker->hear(broker->context, name, has_stamp ? &stamp : NULL, message->payload,
	             (size_t)message->payloadlen);
}

/* ---- The connection ---- */

/* Has libmosquitto know all that it needs to connect, but not do it yet: the one function of it
 * that takes these properties waits for the connection. */
static int introduce(struct broker *broker)
{
	struct addresses *addresses = &broker->options->broker;
	mosquitto_property *properties = NULL;
	int result = MOSQ_ERR_SUCCESS;

	if (!broker->is_old)
		result = mosquitto_property_add_int32(&properties,
		                                      MQTT_PROP_SESSION_EXPIRY_INTERVAL, SESSION_S);
	override_getaddrinfo(NULL);
	if (result == MOSQ_ERR_SUCCESS)
		result = mosquitto_connect_bind_v5(broker->client, addresses->host,
		                                   atoi(addresses->port), KEEPALIVE_S, NULL,
		                                   properties);
	override_getaddrinfo(addresses);
	mosquitto_property_free_all(&properties);
	return result == MOSQ_ERR_EAI ? MOSQ_ERR_SUCCESS : result;
}

static int set_up(struct broker *broker)
{
	const struct options *options = broker->options;
	struct mosquitto *client = broker->client;
	int result = mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);

	if (result == MOSQ_ERR_SUCCESS)
		result = mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
	if (result == MOSQ_ERR_SUCCESS && options->user != NULL)
		result = mosquitto_username_pw_set(client, options->user, options->password);
	/* With MOSQ_OPT_TLS_USE_OS_CERTS libmosquitto 2.0 cannot connect a second time. */
	if (result == MOSQ_ERR_SUCCESS && options->tls)
		result = mosquitto_tls_set(client, options->ca,
		                           options->ca == NULL ? CA_FOLDER : NULL, NULL, NULL,
		                           NULL);
	if (result == MOSQ_ERR_SUCCESS)
		result = introduce(broker);
	mosquitto_connect_v5_callback_set(client, on_connect);
	mosquitto_disconnect_v5_callback_set(client, on_disconnect);
	mosquitto_subscribe_v5_callback_set(client, on_subscribe);
	mosquitto_publish_v5_callback_set(client, on_publish);
	mosquitto_message_v5_callback_set(client, on_message);
	return result;
}

int broker_init(struct broker *broker)
{
	const struct options *options = broker->options;
	int result;

	snprintf(broker->topic, sizeof broker->topic, "chat/%s/%s", options->room, options->id);
	snprintf(broker->filter, sizeof broker->filter, "chat/%s/+", options->room);
	broker->backoff = BACKOFF_US;
	broker->patience = PATIENCE_US;
	mosquitto_lib_init();
	errno = 0;
	/* No other relay has this topic, so it serves as the client identifier, too. */
	broker->client = mosquitto_new(broker->topic, false, broker);
	/* libmosquitto 2.0 goes on where it has no memory for the identifier, and then has none. */
	if (broker->client == NULL || errno == ENOMEM) {
		warn("%s", broker->topic);
		return -1;
	}
	errno = 0;
	result = set_up(broker);
	if (result != MOSQ_ERR_SUCCESS)
		warnx("%s: %s", options->ca != NULL ? options->ca : "libmosquitto",
		      errno != 0 ? strerror(errno) : mosquitto_strerror(result));
	return result == MOSQ_ERR_SUCCESS ? 0 : -1;
}

static void begin_connection(struct broker *broker, int64_t now)
{
	broker->state = BROKER_CONNECTING;
	broker->serve_at = now + STEP_US;
	broker->give_up_at = now + broker->patience;
	if (broker->is_old) {
		mosquitto_int_option(broker->client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V311);
		check(broker, introduce(broker));
	}
	if (broker->state == BROKER_CONNECTING)
		check(broker, mosquitto_reconnect_async(broker->client));
}

/* Goes on with an attempt to connect. libmosquitto may never tell that one has failed. */
static void go_on_connecting(struct broker *broker, int64_t now)
{
	int error = 0;
	socklen_t length = sizeof error;

	getsockopt(mosquitto_socket(broker->client), SOL_SOCKET, SO_ERROR, &error, &length);
	if (error != 0) {
		fail(broker, strerror(error));
		return;
	}
	if (now >= broker->give_up_at) {
		broker->patience = broker->patience * 2 < MOST_PATIENCE_US ? broker->patience * 2
		                                                           : MOST_PATIENCE_US;
		fail(broker, "it does not answer");
		return;
	}
	broker->serve_at = now + STEP_US;
	check(broker, mosquitto_loop_write(broker->client, 1));
	if (broker->state == BROKER_CONNECTING)
		check(broker, mosquitto_loop_read(broker->client, 1));
}

static bool can_publish(const struct broker *broker)
{
	return broker->state == BROKER_SUBSCRIBED && broker->spool->first != NULL &&
	       broker->in_flight < AT_ONCE;
}

static void lower(int64_t *due, int64_t at)
{
	if (at < *due)
		*due = at;
}

void broker_prepare(struct broker *broker, bool hold, fd_set *readable, fd_set *writable,
                    int64_t *due)
{
	const int64_t now = now_us();
	int sd;

	/* To connect once more would only cut the other relay off, which then gave up as well. */
	if (broker->is_taken)
		return;
	if (broker->state == BROKER_DOWN && now >= broker->connect_at)
		begin_connection(broker, now);
	if (broker->state == BROKER_DOWN)
		lower(due, broker->connect_at);
	if (broker->state == BROKER_CONNECTING)
		lower(due, broker->serve_at);
	if (broker->state < BROKER_CONNECTED)
		return;
	if (broker->state == BROKER_CONNECTED)
		lower(due, broker->subscribe_at);
	if (can_publish(broker))
		lower(due, broker->publish_at);
	sd = mosquitto_socket(broker->client);
	if (sd == -1)
		fail(broker, strerror(ENOTCONN));
	if (sd != -1 && !hold)
		FD_SET(sd, readable);
	if (broker->has_more && !hold)
		lower(due, now);
	if (sd != -1 && mosquitto_want_write(broker->client))
		FD_SET(sd, writable);
}

/* Hands one message to libmosquitto. Returns false when it has to wait. */
static bool publish(struct broker *broker, const struct message *message)
{
	mosquitto_property *properties = NULL;
	char stamp[STAMP_SIZE];
	struct in_flight *sent;
	int result = MOSQ_ERR_SUCCESS;

	stamp_format(&message->stamp, stamp);
	if (!broker->is_old)
		result = mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY,
		                                            "n", stamp);
	/* Before the call: with QoS 0 it may call on_publish() itself. */
	sent = &broker->sent[broker->in_flight++];
	*sent = (struct in_flight){ .lines = message->lines };
	if (result == MOSQ_ERR_SUCCESS)
		result = mosquitto_publish_v5(broker->client, &sent->id, broker->topic,
		                              (int)message->length, message->text,
		                              broker->options->qos, false, properties);
	mosquitto_property_free_all(&properties);
	if (result == MOSQ_ERR_NOMEM || result == MOSQ_ERR_QOS_NOT_SUPPORTED ||
	    result == MOSQ_ERR_OVERSIZE_PACKET || result == MOSQ_ERR_PAYLOAD_SIZE)
		broker->in_flight--;
	if (result == MOSQ_ERR_NOMEM) {
		broker->publish_at = now_us() + BACKOFF_US;
		return false;
	}
	if (result == MOSQ_ERR_QOS_NOT_SUPPORTED) {
		log_warning(NULL, "broker", "it has no QoS 1, as if by --qos 0");
		broker->options->qos = 0;
		return false;
	}
	if (result == MOSQ_ERR_OVERSIZE_PACKET || result == MOSQ_ERR_PAYLOAD_SIZE) {
		log_warning(NULL, "broker refuses a message", mosquitto_strerror(result));
		spool_lose(broker->spool, message->lines);
		return true;
	}
	/* With any other failure libmosquitto has taken it, and will send it later; and the loop
	 * functions report what has become of the connection. */
	broker->lines_out += message->lines;
	return true;
}

static void publish_spooled(struct broker *broker, int64_t now)
{
	while (can_publish(broker) && now >= broker->publish_at &&
	       publish(broker, broker->spool->first))
		spool_remove_first(broker->spool);
}

static void subscribe(struct broker *broker, int64_t now)
{
	const int options = broker->is_old ? 0
	                                   : MQTT_SUB_OPT_NO_LOCAL | MQTT_SUB_OPT_SEND_RETAIN_NEVER;

	broker->subscribe_at = now + SESSION_S * 1000000LL;
	check(broker, mosquitto_subscribe_v5(broker->client, NULL, broker->filter,
	                                     broker->options->qos, options, NULL));
}

/* libmosquitto stops reading early where errno is EAGAIN, even if a write has set that. With TLS
 * what it has not read yet may be in memory, where select() does not see it. */
static void read_some(struct broker *broker)
{
	const uint64_t before = broker->calls;

	check(broker, mosquitto_loop_read(broker->client, 1));
	broker->has_more = broker->options->tls && broker->calls != before;
}

void broker_serve(struct broker *broker, bool hold, const fd_set *readable, const fd_set *writable)
{
	const int64_t now = now_us();
	const int sd = mosquitto_socket(broker->client);

	if (broker->state == BROKER_CONNECTING) {
		if (now >= broker->serve_at)
			go_on_connecting(broker, now);
		return;
	}
	if (broker->state >= BROKER_CONNECTED && !hold &&
	    (broker->has_more || FD_ISSET(sd, readable)))
		read_some(broker);
	if (broker->state == BROKER_CONNECTED && now >= broker->subscribe_at)
		subscribe(broker, now);
	publish_spooled(broker, now);
	if (broker->state >= BROKER_CONNECTED && FD_ISSET(sd, writable))
		check(broker, mosquitto_loop_write(broker->client, 1));
	/* While the broker is not read, its answer to a ping would seem to be missing. */
	if (hold)
		broker->look_after_at = now + LOOK_AFTER_US;
	if (broker->state >= BROKER_CONNECTED && now >= broker->look_after_at) {
		broker->look_after_at = now + LOOK_AFTER_US;
		check(broker, mosquitto_loop_misc(broker->client));
		broker->has_more = broker->options->tls;
	}
}

uint64_t broker_unconfirmed(const struct broker *broker)
{
	uint64_t lines = 0;
	unsigned int at;

	for (at = 0; at < broker->in_flight; at++)
		lines += broker->sent[at].lines;
	return lines;
}

void broker_close(struct broker *broker)
{
	broker->state = BROKER_DOWN;
	mosquitto_disconnect(broker->client);
	mosquitto_destroy(broker->client);
	mosquitto_lib_cleanup();
}
