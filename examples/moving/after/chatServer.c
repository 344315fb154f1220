#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chatServerExt.h"

static volatile sig_atomic_t end_server = 0;

static void int_handler(int sig)
{
	(void)sig;
	end_server = 1;
}

int main(int argc, char *argv[])
{
	conn_pool_t *pool;
	struct sockaddr_in addr;
	char buffer[BUFFER_SIZE];
	int welcome_sd, new_sd, sd, len, on = 1;

	if (argc != 2 || atoi(argv[1]) < 1 || atoi(argv[1]) > 65535) {
		printf("Usage: server <port>\n");
		exit(EXIT_FAILURE);
	}
	signal(SIGINT, int_handler);

	welcome_sd = socket(AF_INET, SOCK_STREAM, 0);
	if (welcome_sd < 0) {
		perror("socket");
		exit(EXIT_FAILURE);
	}
	ioctl(welcome_sd, FIONBIO, &on);
	setsockopt(welcome_sd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	memset(&addr, 0, sizeof(addr));
	addr.sin_family = AF_INET;
	addr.sin_port = htons((unsigned short)atoi(argv[1]));
	addr.sin_addr.s_addr = htonl(INADDR_ANY);
	if (bind(welcome_sd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror("bind");
		exit(EXIT_FAILURE);
	}
	if (listen(welcome_sd, 5) < 0) {
		perror("listen");
		exit(EXIT_FAILURE);
	}

	pool = malloc(sizeof(conn_pool_t));
	if (pool == NULL) {
		perror("malloc");
		exit(EXIT_FAILURE);
	}
	init_pool(pool);
	FD_SET(welcome_sd, &pool->read_set);
	pool->maxfd = welcome_sd;

	while (!end_server) {
		pool->ready_read_set = pool->read_set;
		pool->ready_write_set = pool->write_set;
		printf("Waiting on select()...\nMaxFd %d\n", pool->maxfd);
		fflush(stdout);
		pool->nready = select(pool->maxfd + 1, &pool->ready_read_set,
		                      &pool->ready_write_set, NULL, NULL);
		if (pool->nready < 0)
			break;
		/* What is broadcast in this pass is sent by one system call for each recipient. */
		chat_cork(pool);
		for (sd = 0; sd <= pool->maxfd && pool->nready > 0; sd++) {
			if (FD_ISSET(sd, &pool->ready_read_set)) {
				pool->nready--;
				if (sd == welcome_sd) {
					new_sd = accept(welcome_sd, NULL, NULL);
					if (new_sd < 0) {
						perror("accept");
						break;
					}
					printf("New incoming connection on sd %d\n", new_sd);
					if (add_conn(new_sd, pool) == -1) {
						perror("no room");
						close(new_sd);
					}
					continue;
				}
				printf("Descriptor %d is readable\n", sd);
				len = (int)read(sd, buffer, BUFFER_SIZE);
				/* At the end, with 0, an unfinished line is passed on, too. */
				if (len < 0 || chat_feed(sd, buffer, len, pool) == -1 || len == 0) {
					printf("Connection closed for sd %d\n", sd);
					remove_conn(sd, pool);
					continue;
				}
				printf("%d bytes received from sd %d\n", len, sd);
			}
			if (FD_ISSET(sd, &pool->ready_write_set)) {
				pool->nready--;
				write_to_client(sd, pool);
			}
		}
		chat_uncork(pool);
	}

	while (pool->conn_head != NULL)
		remove_conn(pool->conn_head->fd, pool);
	close(welcome_sd);
	free(pool);
	return 0;
}
