/* listeners.c - see listeners.h. */

#define _GNU_SOURCE /* struct timespec, getnameinfo */

#include "listeners.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fdset_next.h"
#include "listen.h"
#include "log.h"
#include "systemd.h"

static struct sockaddr_storage local_address(int sd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof address;

	getsockname(sd, (struct sockaddr *)&address, &length);
	return address;
}

static int add_listener(struct listeners *listeners, int sd, conn_pool_t *pool)
{
	if (add_conn(sd, pool) == -1) {
		perror("add_conn");
		return -1;
	}
	FD_SET(sd, &listeners->set);
	listeners->count++;
	return 0;
}

/* Whether the options, or several addresses of a name, have led to this address before. The port is
 * the same for all. */
static bool is_listened_at(const struct listeners *listeners, const struct addrinfo *wanted)
{
	int sd;

	FOR_EACH_FD (sd, &listeners->set) {
		struct sockaddr_storage bound = local_address(sd);

		/* The port may differ: 0 became another one. */
		((struct sockaddr_in *)&bound)->sin_port =
			((const struct sockaddr_in *)wanted->ai_addr)->sin_port;
		if (memcmp(&bound, wanted->ai_addr, wanted->ai_addrlen) == 0)
			return true;
	}
	return false;
}

/* Prints that it cannot listen there, and the reason from errno. */
static void report_failure(const char *name, const struct addrinfo *address, const char *port)
{
	const char *why = strerror(errno);
	char host[64] = "?";

	getnameinfo(address->ai_addr, address->ai_addrlen, host, sizeof host, NULL, 0,
	            NI_NUMERICHOST);
	if (name == NULL)
		fprintf(stderr, "cannot listen on port %s: %s\n", port, why);
	else if (strcmp(name, host) == 0)
		fprintf(stderr, "cannot listen on port %s of %s: %s\n", port, name, why);
	else
		fprintf(stderr, "cannot listen on port %s of %s (%s): %s\n", port, name, host, why);
}

/* Listens at each address of a name, or at every address of the machine for NULL. */
static int listen_on(struct listeners *listeners, const char *name, const struct options *options,
                     conn_pool_t *pool)
{
	const char *why;
	struct addrinfo *found = look_up(name, options->port, &why), *address;
	int sd = 0;
	bool v6_only;

	if (found == NULL) {
		fprintf(stderr, "%s: %s\n", name != NULL ? name : "the wildcard address", why);
		return -1;
	}
	/* Among others, the wildcard address of IPv6 must not take in what is bound besides it. */
	v6_only = options->address_count > 1 || found->ai_next != NULL;
	for (address = found; address != NULL && sd != -1; address = address->ai_next) {
		if (is_listened_at(listeners, address))
			continue;
		sd = listen_at(address, v6_only);
		if (sd == -1)
			report_failure(name, address, options->port);
		else
			sd = add_listener(listeners, sd, pool);
	}
	freeaddrinfo(found);
	return sd == -1 ? -1 : 0;
}

int listeners_open(struct listeners *listeners, int inherited, const struct options *options,
                   conn_pool_t *pool)
{
	int at;

	listeners->inherited = inherited > 0;
	for (at = 0; at < inherited; at++) {
		if (add_listener(listeners, FIRST_INHERITED + at, pool) == -1)
			return -1;
	}
	if (inherited == 0 && options->address_count == 0)
		return listen_on(listeners, NULL, options, pool);
	for (at = 0; at < options->address_count; at++) {
		if (listen_on(listeners, options->addresses[at], options, pool) == -1)
			return -1;
	}
	return 0;
}

void listeners_log(const struct listeners *listeners)
{
	char text[ADDRESS_SIZE];
	int sd;

	if (user_timeout_is_missing)
		log_warning(NULL, "TCP_USER_TIMEOUT", strerror(ENOPROTOOPT));
	FOR_EACH_FD (sd, &listeners->set) {
		struct sockaddr_storage address = local_address(sd);

		format_address(&address, text);
		log_text(LOG_INFO, "listening on %s", text);
	}
}

bool is_listener(const struct listeners *listeners, int sd)
{
	return FD_ISSET(sd, &listeners->set);
}

unsigned int count_clients(const struct listeners *listeners, const conn_pool_t *pool)
{
	return pool->nr_conns - listeners->count;
}

void listeners_pause(struct listeners *listeners, conn_pool_t *pool)
{
	int sd;

	backoff_start(&listeners->backoff);
	FOR_EACH_FD (sd, &listeners->set) {
		FD_CLR(sd, &pool->read_set);
		/* The other listeners would fail in this pass as well. */
		FD_CLR(sd, &pool->ready_read_set);
	}
}

void listeners_resume(struct listeners *listeners, conn_pool_t *pool)
{
	int sd;

	if (!backoff_expired(&listeners->backoff))
		return;
	FOR_EACH_FD (sd, &listeners->set)
		FD_SET(sd, &pool->read_set);
}
