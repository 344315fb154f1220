/* options.h - the relay's command line. */

#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "lookup.h"
#include "origins.h"

struct options {
	struct addresses broker, server; /* not looked up yet */
	const char *room, *user, *ca;
	char *password; /* NULL for none */
	char id[NAME_SIZE];
	bool tls;
	int qos;
	size_t spool; /* bytes */
};

/* Parses the command line, and reads the password, from a file or the environment; *options is all
 * zero before. Exits after --help and --version, and when something is wrong. */
void parse_options(int argc, char *argv[], struct options *options);

/* Splits [HOST:]PORT or HOST[:PORT], with an IPv6 address in brackets, in place. Sets either to
 * NULL where it is missing; the port must be there if it `is_port`, and otherwise the host. Returns
 * false where they are not. */
bool split_address(char *text, bool is_port, const char **host, const char **port);

/* Whether a room or a relay may have this name, which becomes a part of a topic. */
bool is_name(const char *text);

#endif /* OPTIONS_H */
