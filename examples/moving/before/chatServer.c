#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chatServer.h"

/* ---- The pool ---- */

static conn_t *find_conn(int sd, conn_pool_t *pool)
{
	conn_t *conn;

	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		if (conn->fd == sd)
			return conn;
	}
	return NULL;
}

static void delete_first_msg(conn_t *conn)
{
	msg_t *msg = conn->write_msg_head;

	conn->write_msg_head = msg->next;
	if (msg->next != NULL)
		msg->next->prev = NULL;
	else
		conn->write_msg_tail = NULL;
	free(msg->message);
	free(msg);
}

int init_pool(conn_pool_t *pool)
{
	if (pool == NULL)
		return -1;
	memset(pool, 0, sizeof(conn_pool_t));
	return 0;
}

int add_conn(int sd, conn_pool_t *pool)
{
	conn_t *conn = calloc(1, sizeof(conn_t));
	conn_t *last = pool->conn_head;

	if (conn == NULL) {
		perror("calloc");
		return -1;
	}
	conn->fd = sd;
	while (last != NULL && last->next != NULL)
		last = last->next;
	conn->prev = last;
	if (last != NULL)
		last->next = conn;
	else
		pool->conn_head = conn;
	pool->nr_conns++;
	FD_SET(sd, &pool->read_set);
	if (sd > pool->maxfd)
		pool->maxfd = sd;
	return 0;
}

int remove_conn(int sd, conn_pool_t *pool)
{
	conn_t *conn = find_conn(sd, pool);

	if (conn == NULL)
		return -1;
	printf("removing connection with sd %d \n", sd);
	if (conn->prev != NULL)
		conn->prev->next = conn->next;
	else
		pool->conn_head = conn->next;
	if (conn->next != NULL)
		conn->next->prev = conn->prev;
	while (conn->write_msg_head != NULL)
		delete_first_msg(conn);
	free(conn);
	pool->nr_conns--;
	FD_CLR(sd, &pool->read_set);
	FD_CLR(sd, &pool->write_set);
	while (pool->maxfd > 0 && !FD_ISSET(pool->maxfd, &pool->read_set))
		pool->maxfd--;
	close(sd);
	return 0;
}

int add_msg(int sd, char *buffer, int len, conn_pool_t *pool)
{
	conn_t *conn;
	msg_t *msg;

	for (conn = pool->conn_head; conn != NULL; conn = conn->next) {
		if (conn->fd == sd)
			continue;
		msg = calloc(1, sizeof(msg_t));
		if (msg == NULL || (msg->message = malloc((size_t)len)) == NULL) {
			perror("malloc");
			free(msg);
			return -1;
		}
		memcpy(msg->message, buffer, (size_t)len);
		msg->size = len;
		msg->prev = conn->write_msg_tail;
		if (conn->write_msg_tail != NULL)
			conn->write_msg_tail->next = msg;
		else
			conn->write_msg_head = msg;
		conn->write_msg_tail = msg;
		FD_SET(conn->fd, &pool->write_set);
	}
	return 0;
}

int write_to_client(int sd, conn_pool_t *pool)
{
	conn_t *conn = find_conn(sd, pool);
	msg_t *msg;

	if (conn == NULL)
		return -1;
	while ((msg = conn->write_msg_head) != NULL) {
		if (write(sd, msg->message, (size_t)msg->size) < 0)
			perror("write");
		delete_first_msg(conn);
	}
	FD_CLR(sd, &pool->write_set);
	return 0;
}

/* ---- The server ---- */
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
					add_conn(new_sd, pool);
					continue;
				}
				printf("Descriptor %d is readable\n", sd);
				len = (int)read(sd, buffer, BUFFER_SIZE);
				if (len <= 0) {
					printf("Connection closed for sd %d\n", sd);
					remove_conn(sd, pool);
					continue;
				}
				printf("%d bytes received from sd %d\n", len, sd);
				add_msg(sd, buffer, len, pool);
			}
			if (FD_ISSET(sd, &pool->ready_write_set)) {
				pool->nready--;
				write_to_client(sd, pool);
			}
		}
	}

	while (pool->conn_head != NULL)
		remove_conn(pool->conn_head->fd, pool);
	close(welcome_sd);
	free(pool);
	return 0;
}
