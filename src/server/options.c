/* options.c - see options.h. */

#define _GNU_SOURCE /* getopt_long */

#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "chatServerExt.h"
#include "log.h"
#include "number.h"

static void usage(void)
{
	puts("Usage: server <port>");
}

static void help(void)
{
	usage();
	printf("Relays every line from a client to all other clients.\n"
	       "\n"
	       "  --bind ADDRESS     listen on this address only, of IPv4 or IPv6\n"
	       "  --max-queue BYTES  cut off a client for whom more than this waits\n"
	       "                     (%d unless given; 0 for no limit)\n"
	       "  --quiet            no transcript on standard output\n"
	       "  --help             print this and end\n"
	       "  --version          print the version and end\n"
	       "\n"
	       "Options come before the port. Where systemd passes sockets to listen on, neither\n"
	       "--bind nor the port is given. SIGINT or SIGTERM ends the server, SIGUSR1 has it log\n"
	       "one line of figures on standard error.\n",
	       MAX_QUEUE);
}

void parse_options(int argc, char *argv[], bool sockets_passed, struct options *options)
{
	static const struct option known[] = {
		{ "bind", required_argument, NULL, 'b' },
		{ "max-queue", required_argument, NULL, 'm' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	uintmax_t number;
	int option;

	while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		switch (option) {
		case 'b':
			options->address = optarg;
			break;
		case 'm':
			if (!parse_number(optarg, 0, SIZE_MAX, &number)) {
				fprintf(stderr, "%s: not a number of bytes: '%s'\n", argv[0],
				        optarg);
				usage();
				exit(EXIT_FAILURE);
			}
			options->max_queue = (size_t)number;
			break;
		case 'q':
			be_quiet();
			chat_set_quiet(1);
			break;
		case 'h':
			help();
			exit(EXIT_SUCCESS);
		case 'v':
			printf("server (libchatserver) %s\n", chat_version());
			exit(EXIT_SUCCESS);
		default: /* getopt_long has said what is wrong */
			usage();
			exit(EXIT_FAILURE);
		}
	}
	if (sockets_passed) {
		if (argc == optind && options->address == NULL)
			return;
		fprintf(stderr, "%s: sockets to listen on have been passed: no --bind and no port\n",
		        argv[0]);
		exit(EXIT_FAILURE);
	}
	if (argc - optind != 1 || !parse_number(argv[optind], 1, 65535, &number)) {
		usage();
		exit(EXIT_FAILURE);
	}
	options->port = argv[optind];
}
