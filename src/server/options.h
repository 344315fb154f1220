/* options.h - the command line. */

#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

struct options {
	const char *addresses[FD_SETSIZE]; /* names or numbers, to listen on; NULL for all */
	int address_count;
	const char *port;
	size_t max_queue; /* bytes that may be queued for a client; 0 for no limit */
	unsigned int max_clients;
	bool printable; /* relay control characters as question marks */
	bool raw;       /* relay every byte as it came */
	bool quiet, verbose;
};

/* Parses the command line; *options is all zero before. Exits after --help and --version, and when
 * the command line is wrong: the port is required, unless listeners have been inherited; then it
 * may be given together with --bind. */
void parse_options(int argc, char *argv[], bool has_listeners, struct options *options);

#endif /* OPTIONS_H */
