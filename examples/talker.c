/*
 * talker - a chat server with names: what a server of your own may start from.
 *
 * It greets newcomers, announces who joins and who leaves, and puts the name before each line. Its
 * clients are people with nc or telnet, who may type /nick NAME and /who.
 */

#define _POSIX_C_SOURCE 200809L /* pselect */

#include <arpa/inet.h>
#include <arpa/telnet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chatServerExt.h"

enum { NAME_SIZE = 16, LINE_SIZE = 65536 + 1 }; /* what is longer comes as several lines */

/* What the talker knows of each client, by the descriptor. */
static struct member {
	char name[NAME_SIZE];
	unsigned char command; /* of telnet, when the rest of it has not come; else 0 */
} members[FD_SETSIZE];

static conn_pool_t pool;
static int listener;

static void give_up(const char *why)
{
	perror(why);
	exit(EXIT_FAILURE);
}

/* Sends a line: with chat_tell to sd, with chat_say to everyone but sd, where -1 leaves nobody out.
 * A line that there is no memory for is lost, and the talker goes on. */
static void send_line(int (*to)(int, const char *, int, conn_pool_t *), int sd, const char *format,
                      ...)
{
	char text[NAME_SIZE + LINE_SIZE + 80];
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (to(sd, text, len, &pool) == -1)
		perror("a line is lost");
}

/* ---- Who is here ---- */

static void join(int sd)
{
	struct member *member = &members[sd];

	/* Nobody can choose a colon, so this name is free. */
	snprintf(member->name, sizeof member->name, "user:%d", sd);
	member->command = 0;
	send_line(chat_tell, sd, "* Welcome, %s. There are /nick NAME and /who.\n", member->name);
	send_line(chat_say, sd, "* %s has joined.\n", member->name);
}

static void leave(int sd)
{
	remove_conn(sd, &pool);
	send_line(chat_say, -1, "* %s has left.\n", members[sd].name);
	FD_SET(listener, &pool.read_set); /* accept_client may have taken it out */
}

static void who(int sd)
{
	const conn_t *conn;

	for (conn = pool.conn_head; conn != NULL; conn = conn->next) {
		if (conn->fd != listener)
			send_line(chat_tell, sd, "* %s%s\n", members[conn->fd].name,
			          conn->fd == sd ? " (you)" : "");
	}
}

static int is_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_";
	size_t len = strlen(name);

	return len > 0 && len < NAME_SIZE && strspn(name, allowed) == len;
}

static int is_taken(const char *name)
{
	const conn_t *conn;

	for (conn = pool.conn_head; conn != NULL; conn = conn->next) {
		if (strcmp(members[conn->fd].name, name) == 0)
			return 1;
	}
	return 0;
}

static void nick(int sd, const char *name)
{
	if (!is_name(name)) {
		send_line(chat_tell, sd, "* A name has 1 to %d letters, digits, - and _.\n",
		          NAME_SIZE - 1);
	} else if (is_taken(name)) {
		send_line(chat_tell, sd, "* The name %s is taken.\n", name);
	} else {
		send_line(chat_say, -1, "* %s is now %s.\n", members[sd].name, name);
		strcpy(members[sd].name, name);
	}
}

/* ---- What clients say ---- */

/* Copies a line without its end. A control character, which would steer the terminals of others,
 * becomes a question mark. */
static void copy_line(char *text, const char *line, int len)
{
	int i;

	if (len > 0 && line[len - 1] == '\n')
		len--;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)line[i];

		text[i] = (c < ' ' && c != '\t') || c == 0x7f ? '?' : line[i];
	}
	text[len] = '\0';
}

static void handle_line(int sd, const char *line, int len)
{
	char text[LINE_SIZE];

	copy_line(text, line, len);
	if (strncmp(text, "/nick ", 6) == 0)
		nick(sd, text + 6);
	else if (strcmp(text, "/who") == 0)
		who(sd);
	else if (text[0] == '/')
		send_line(chat_tell, sd, "* There are /nick NAME and /who.\n");
	else if (text[0] != '\0')
		send_line(chat_say, sd, "%s: %s\n", members[sd].name, text);
}

/* Takes the commands of telnet out of what was read, and returns how much is left. Each option is
 * refused: telnet waits for the answer. */
static int skip_telnet(int sd, char *text, int len)
{
	unsigned char *command = &members[sd].command;
	int i, kept = 0;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (*command == 0 && c != IAC) {
			text[kept++] = text[i];
		} else if (*command == 0 || (*command == IAC && c >= WILL && c <= DONT)) {
			*command = c;
		} else {
			if (*command == DO || *command == WILL)
				send_line(chat_tell, sd, "%c%c%c", IAC,
				          *command == DO ? WONT : DONT, c);
			*command = 0;
		}
	}
	return kept;
}

static void read_client(int sd)
{
	char buffer[BUFFER_SIZE];
	const char *line;
	int len = (int)read(sd, buffer, sizeof buffer), is_end = len == 0;

	if (len > 0 && (len = skip_telnet(sd, buffer, len)) == 0)
		return;
	/* At the end, with 0, what came without a newline is the last line. */
	if (len == -1 || chat_receive(sd, buffer, len, &pool) == -1) {
		leave(sd);
		return;
	}
	while ((len = chat_next_line(sd, &line, &pool)) > 0)
		handle_line(sd, line, len);
	if (is_end)
		leave(sd);
}

/* ---- The server ---- */

static void accept_client(void)
{
	int sd = accept(listener, NULL, NULL);

	if (sd == -1 && errno == EMFILE)
		FD_CLR(listener, &pool.read_set); /* nobody gets in until somebody leaves */
	else if (sd != -1 && add_conn(sd, &pool) == -1)
		close(sd);
	else if (sd != -1)
		join(sd);
}

static void listen_on(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((unsigned short)port) };
	int on = 1;

	/* Non-blocking: a newcomer may have left again before it is accepted. */
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (listener == -1 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1 ||
	    bind(listener, (struct sockaddr *)&address, sizeof address) == -1 ||
	    listen(listener, SOMAXCONN) == -1 || add_conn(listener, &pool) == -1)
		give_up("cannot listen");
}

/* Waits, with these signals let in, and serves everyone who is ready. What is said in a pass is
 * collected, and leaves at its end: by one system call for each client, however many lines. What
 * there is no memory for then leaves with a later pass. */
static void pass(const sigset_t *waiting)
{
	int sd;

	pool.ready_read_set = pool.read_set;
	pool.ready_write_set = pool.write_set;
	if (pselect(pool.maxfd + 1, &pool.ready_read_set, &pool.ready_write_set, NULL, NULL,
	            waiting) == -1) {
		if (errno != EINTR)
			give_up("pselect");
		return;
	}
	chat_cork(&pool);
	for (sd = 0; sd <= pool.maxfd; sd++) {
		/* If this fails, the peer is gone; the next read() reports it. */
		if (FD_ISSET(sd, &pool.ready_write_set))
			write_msg(sd, &pool);
		if (!FD_ISSET(sd, &pool.ready_read_set))
			continue;
		if (sd == listener)
			accept_client();
		else
			read_client(sd);
	}
	chat_uncork(&pool);
}

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

int main(int argc, char *argv[])
{
	int port = argc == 2 ? atoi(argv[1]) : 0;
	sigset_t blocked, waiting;

	if (port < 1 || port > 65535) {
		fputs("usage: talker PORT\n", stderr);
		return EXIT_FAILURE;
	}
	init_pool(&pool);
	chat_set_quiet(1);
	listen_on(port);
	/* Signals come only while pselect waits: one that came just before would be lost. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &blocked, &waiting) == -1 ||
	    signal(SIGINT, on_signal) == SIG_ERR || signal(SIGTERM, on_signal) == SIG_ERR)
		give_up("signals");
	while (!ended)
		pass(&waiting);
	while (pool.conn_head != NULL)
		remove_conn(pool.conn_head->fd, &pool);
	return EXIT_SUCCESS;
}
