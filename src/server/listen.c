/* listen.c - see listen.h. */

#define _GNU_SOURCE /* gai_strerror, SOCK_NONBLOCK */

#include "listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that answers nothing is given up after 60 s of silence and 3 probes 10 s apart, or
 * after the same time with data on the way to it. */
enum { IDLE_S = 60, PROBE_S = 10, PROBES = 3, GIVE_UP_MS = (IDLE_S + PROBES * PROBE_S) * 1000 };

static int set_number(int sd, int level, int option, int value)
{
	return setsockopt(sd, level, option, &value, sizeof value);
}

/* TCP_NODELAY: a line goes out at once, and does not wait for the last one to be acknowledged. */
int set_up_tcp(int sd)
{
	if (set_number(sd, SOL_SOCKET, SO_KEEPALIVE, 1) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_S) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_KEEPCNT, PROBES) == -1 ||
	    set_number(sd, IPPROTO_TCP, TCP_USER_TIMEOUT, GIVE_UP_MS) == -1)
		return -1;
	return set_number(sd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/* Sets what a listener must have before it is bound. */
static int set_up_socket(int sd, int family)
{
	if (family == AF_INET6 && set_number(sd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == -1)
		return -1;
	return set_number(sd, SOL_SOCKET, SO_REUSEADDR, 1) == -1 ? -1 : set_up_tcp(sd);
}

/* A non-blocking listening socket at the address; -1 with errno set where there can be none. */
static int listen_at(const struct addrinfo *address)
{
	int sd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int error;

	if (sd == -1)
		return -1;
	if (set_up_socket(sd, address->ai_family) == 0 &&
	    bind(sd, address->ai_addr, address->ai_addrlen) == 0 && listen(sd, SOMAXCONN) == 0)
		return sd;
	error = errno;
	close(sd);
	errno = error;
	return -1;
}

/* The address that stands for all of this machine's: of IPv6 and IPv4 in one, or of IPv4 where
 * the kernel knows no other. */
static const char *every_address(void)
{
	int sd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sd == -1)
		return "0.0.0.0";
	close(sd);
	return "::";
}

/* That it cannot listen there, and why, which errno says. */
static void say_cannot_listen(const char *address, const char *port)
{
	const char *why = strerror(errno);

	if (address == NULL)
		fprintf(stderr, "cannot listen on port %s: %s\n", port, why);
	else
		fprintf(stderr, "cannot listen on port %s of %s: %s\n", port, address, why);
}

int listen_on(const char *address, const char *port)
{
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		                        .ai_socktype = SOCK_STREAM };
	const char *name = address != NULL ? address : every_address();
	struct addrinfo *found;
	int failure = getaddrinfo(name, port, &hints, &found);
	int sd;

	if (failure != 0) {
		fprintf(stderr, "%s: %s\n", name,
		        failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
		return -1;
	}
	sd = listen_at(found);
	if (sd == -1)
		say_cannot_listen(address, port);
	freeaddrinfo(found);
	return sd;
}
