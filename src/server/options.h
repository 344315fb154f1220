/* options.h - the command line. */

#ifndef OPTIONS_H
#define OPTIONS_H

struct options {
	const char *address; /* to listen on; left alone unless the command line names one */
	const char *port;
};

/* Reads the command line, and sets what concerns the library and the transcript at once. Ends
 * the program where the command line asks for nothing more, or for nonsense. */
void parse_options(int argc, char *argv[], struct options *options);

#endif /* OPTIONS_H */
