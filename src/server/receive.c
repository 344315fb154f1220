/* receive.c - see receive.h. */

#define _GNU_SOURCE /* memrchr */

#include "receive.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../common/log.h"
#include "../common/protocol.h"
#include "leave.h"

/* Free bytes before what is read, for what an earlier read left unfinished: a part of a telnet
 * command or of a character. */
enum { HEADROOM = TELNET_HEADROOM + PRINTABLE_HELD };

/* Returns how many bytes chat_feed() relays of a text: up to its last line end, or else pieces of a
 * long line, with what it has kept of the line until now. */
static size_t count_relayed(struct client *client, const char *text, size_t length)
{
	const char *end = (const char *)memrchr(text, '\n', length);
	size_t all = client->unfinished + length;

	client->unfinished = end != NULL ? (size_t)(text + length - end - 1) : all % LINE_PIECE;
	return all - client->unfinished;
}

/* Relays what a client has sent, as the options say, and answers its telnet commands. The text has
 * HEADROOM in front of it. Returns -1 with errno set on failure, and with the text forgotten. */
static int relay(struct server *server, int sd, char *text, size_t length)
{
	struct client client = server->clients[sd];
	char answers[READ_SIZE + TELNET_ANSWERS_EXTRA];
	size_t answers_length = 0;

	if (!server->options.raw)
		text = telnet_filter(&client.telnet, text, &length, answers, &answers_length);
	if (server->options.printable)
		text = printable_filter(&client.printable, text, &length);
	if (chat_tell(sd, answers, (int)answers_length, &server->pool) == -1)
		return -1;
	if (length > 0) {
		client.in_line = text[length - 1] != '\n';
		stats_received(&server->stats, text, length, count_clients(server) - 1);
		if (chat_feed(sd, text, (int)length, &server->pool) == -1)
			return -1;
		server->flow.bytes += count_relayed(&client, text, length);
	}
	server->clients[sd] = client;
	return 0;
}

void read_client(struct server *server, int sd, size_t size)
{
	char buffer[HEADROOM + READ_SIZE];
	char *text = buffer + HEADROOM;
	ssize_t count;

	transcript("Descriptor %d is readable\n", sd);
	count = read(sd, text, size);
	if (count == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		end_client(server, sd, count, errno);
		return;
	}
	transcript("%d bytes received from sd %d\n", (int)count, sd);
	server->clients[sd].has_spoken = true;
	server->stats.bytes_in += (size_t)count;
	flow_received(&server->flow, sd, (size_t)count);
	if (relay(server, sd, text, (size_t)count) == 0)
		return;
	/* Out of memory. Closing shows the sender that its text is lost, and keeps the recipients
	 * from getting what it sends next, with a gap before it. */
	log_warning(server->clients[sd].address, "closed", strerror(errno));
	end_last_line(server, sd);
	remove_client(server, sd);
}
