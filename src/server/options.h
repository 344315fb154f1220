/* options.h - the command line. */

#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* How many bytes may wait for a client unless the command line says otherwise: the library's own
 * limit. */
enum { MAX_QUEUE = 8 << 20 };

struct options {
	const char *address; /* to listen on; all of these are left alone unless given */
	const char *port;
	size_t max_queue; /* how many bytes may wait for a client; 0 for any number */
};

/* Reads the command line, and ends the transcript at once where it is not wanted. Ends
 * the program where the command line asks for nothing more, or for nonsense: a port is wanted, but
 * not where sockets to listen on have been passed. */
void parse_options(int argc, char *argv[], bool sockets_passed, struct options *options);

#endif /* OPTIONS_H */
