/* lookup.c - see lookup.h. */

#define _GNU_SOURCE /* getaddrinfo, RTLD_NEXT */

#include "lookup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static struct addresses *override;
static bool is_overridden;

int look_up(struct addresses *addresses)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM };
	int failure = getaddrinfo(addresses->host, addresses->port, &hints, &addresses->first);

	if (failure != 0) {
		fprintf(stderr, "%s: %s\n", addresses->host,
		        failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure));
		return -1;
	}
	addresses->next = addresses->first;
	return 0;
}

const struct addrinfo *addresses_take(struct addresses *addresses)
{
	const struct addrinfo *taken = addresses->next;

	addresses->taken = taken;
	addresses->next = taken->ai_next != NULL ? taken->ai_next : addresses->first;
	return taken;
}

void addresses_retry(struct addresses *addresses)
{
	addresses->next = addresses->taken;
}

bool addresses_all_tried(const struct addresses *addresses)
{
	return addresses->next == addresses->first;
}

void override_getaddrinfo(struct addresses *addresses)
{
	is_overridden = true;
	override = addresses;
}

/* Is called in place of the C library's, by libmosquitto, too; and calls that itself. */
__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *port,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found)
{
	int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	const struct addrinfo *address;
	char number[64];

	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!is_overridden)
		return next(host, port, hints, found);
	if (override == NULL)
		return EAI_AGAIN;
	address = addresses_take(override);
	if (getnameinfo(address->ai_addr, address->ai_addrlen, number, sizeof number, NULL, 0,
	                NI_NUMERICHOST) != 0)
		return EAI_AGAIN;
	return next(number, port, hints, found);
}
