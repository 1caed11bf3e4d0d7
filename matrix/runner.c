// SPDX-License-Identifier: GPL-2.0-only
/*
 * runner: the runs as child processes, some at a time, each with files of its own.
 *
 * A child is in a process group of its own, so that Ctrl-c is ours to pass on, and dies with us
 * however we die. What it leaves: stdout, stderr, console.log, result.json.
 *
 * Runs on: main
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/loop.h"
#include "lkvm/matrix.h"

#define SECOND	    1000000000ULL
#define GRACE	    (30 * SECOND) /* a run's own --timeout comes first */
#define STOP_GRACE  (10 * SECOND) /* from SIGINT to SIGKILL */
#define FAILED_SELF 125
#define JOBS_MAX    256

struct job {
	struct matrix_run *run;
	pid_t pid; /* 0: free */
	uint64_t start, deadline;
	bool killed;
};

struct runner {
	struct matrix *m;
	const struct matrix_conf *conf;
	char root[PATH_MAX]; /* of the runs' folders, absolute */
	char self[PATH_MAX];
	struct job job[JOBS_MAX];
	sigset_t signals, old;
	unsigned next, going, done;
	int stopped; /* the signal */
};

/* --- one run ---------------------------------------------------------------------------------- */

/* "003-boot": letters and digits of its name, and a number that makes it its own. */
static int make_dir(const struct runner *r, struct matrix_run *run)
{
	char word[40];
	size_t n = 0;

	for (const char *c = run->name; *c && n + 1 < sizeof(word); c++)
		if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'))
			word[n++] = *c;
		else if (n && word[n - 1] != '-')
			word[n++] = '-';
	while (n && word[n - 1] == '-')
		n--;
	word[n] = '\0';
	if (asprintf(&run->dir, "%s/%03u-%s", r->root, (unsigned)(run - r->m->run) + 1, word) < 0) {
		run->dir = NULL;
		return -ENOMEM;
	}
	if (mkdir(run->dir, 0777) && errno != EEXIST) {
		int err = errno;

		log_err(NULL, "cannot make folder %s: %s", run->dir, strerror(err));
		return -err;
	}
	return 0;
}

static void child_output(const char *dir, const char *name, int to)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0 || dup2(fd, to) < 0)
		_exit(FAILED_SELF);
}

static void child(const struct runner *r, const struct matrix_run *run, char **argv, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(FAILED_SELF);
	child_output(run->dir, "stdout", STDOUT_FILENO);
	child_output(run->dir, "stderr", STDERR_FILENO);
	sigprocmask(SIG_SETMASK, &r->old, NULL);
	if (chdir(r->m->dir)) {
		log_err(NULL, "cannot enter %s: %s", r->m->dir, strerror(errno));
		_exit(FAILED_SELF);
	}
	execv(r->self, argv);
	log_err(NULL, "cannot run %s: %s", r->self, strerror(errno));
	_exit(FAILED_SELF);
}

static unsigned count(char **words)
{
	unsigned n = 0;

	while (words && words[n])
		n++;
	return n;
}

/* The options of the file come last, so that they win. */
static char **make_argv(const struct runner *r, const struct matrix_run *run, char files[3][PATH_MAX])
{
	unsigned n = 0, options = count(run->options), words = count(run->command);
	char **argv = calloc(10 + options + words, sizeof(*argv));

	if (!argv)
		return NULL;
	snprintf(files[0], PATH_MAX, "%s/result.json", run->dir);
	snprintf(files[1], PATH_MAX, "%s/console.log", run->dir);
	snprintf(files[2], PATH_MAX, "%u", run->timeout);
	argv[n++] = (char *)r->self;
	argv[n++] = "run";
	argv[n++] = "--result";
	argv[n++] = files[0];
	argv[n++] = "--console-log";
	argv[n++] = files[1];
	argv[n++] = "--timeout";
	argv[n++] = files[2];
	for (unsigned i = 0; i < options; i++)
		argv[n++] = run->options[i];
	if (words)
		argv[n++] = "--";
	for (unsigned i = 0; i < words; i++)
		argv[n++] = run->command[i];
	return argv;
}

static int start(struct runner *r, struct job *job, struct matrix_run *run)
{
	char files[3][PATH_MAX];
	pid_t parent = getpid();
	int err = make_dir(r, run);
	char **argv;

	if (err)
		return err;
	argv = make_argv(r, run, files);
	if (!argv)
		return -ENOMEM;
	fflush(NULL);
	job->start = loop_now();
	job->pid = fork();
	if (!job->pid)
		child(r, run, argv, parent);
	free(argv);
	if (job->pid < 0) {
		job->pid = 0;
		log_err(NULL, "cannot start a run: %s", strerror(errno));
		return -EAGAIN;
	}
	job->run = run;
	job->killed = false;
	job->deadline = job->start + run->timeout * SECOND + GRACE;
	run->state = RUN_GOING;
	r->going++;
	return 0;
}

/* --- how it ended ----------------------------------------------------------------------------- */

/* lkvm's last line on stderr, without its name. */
static void last_words(const struct matrix_run *run, char *to, size_t size)
{
	char path[PATH_MAX], line[500];
	FILE *f;

	to[0] = '\0';
	snprintf(path, sizeof(path), "%s/stderr", run->dir);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (!strncmp(line, "lkvm: ", 6))
			snprintf(to, size, ": %s", line + 6);
	}
	fclose(f);
}

static void judge(struct runner *r, struct job *job, int wait_status)
{
	struct matrix_run *run = job->run;
	char words[512];

	run->seconds = (double)(loop_now() - job->start) / SECOND;
	run->ended = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -WTERMSIG(wait_status);
	run->state = run->ended == run->status ? RUN_PASSED :
		     run->ended == FAILED_SELF || run->ended < 0 ? RUN_ERROR : RUN_FAILED;
	if (r->stopped)
		run->state = RUN_STOPPED;
	if (run->state == RUN_PASSED || run->state == RUN_STOPPED)
		return;
	last_words(run, words, sizeof(words));
	if (asprintf(&run->cause, run->ended < 0 ? "lkvm was ended by signal %d, wanted was status %d%s%s" :
						   "status %d, wanted was %d%s%s",
		     run->ended < 0 ? -run->ended : run->ended, run->status,
		     job->killed ? " (it did not end in time)" : "", words) < 0)
		run->cause = NULL;
}

static void reap(struct runner *r)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct job *job = &r->job[i];
		int status;

		if (!job->pid || waitpid(job->pid, &status, WNOHANG) != job->pid)
			continue;
		job->pid = 0;
		r->going--;
		judge(r, job, status);
		r->done++;
		if (r->conf->ended && !r->stopped)
			r->conf->ended(r->conf->opaque, r->m, job->run, r->done);
	}
}

/* --- all of them ------------------------------------------------------------------------------ */

static void kill_late(struct runner *r, uint64_t now)
{
	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (r->job[i].pid && now >= r->job[i].deadline) {
			kill(r->job[i].pid, SIGKILL);
			r->job[i].killed = true;
		}
}

/* The first signal asks, and gives the runs a moment; the second doesn't. */
static void stop(struct runner *r, int signo)
{
	uint64_t deadline = loop_now() + (r->stopped ? 0 : STOP_GRACE);

	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (r->job[i].pid) {
			kill(r->job[i].pid, SIGINT);
			r->job[i].deadline = deadline;
		}
	if (!r->stopped)
		log_warn(NULL, "SIG%s: ending the runs", sigabbrev_np(signo));
	r->stopped = signo;
}

static int fill(struct runner *r)
{
	unsigned jobs = r->conf->jobs < JOBS_MAX ? r->conf->jobs : JOBS_MAX;
	int err = 0;

	for (unsigned i = 0; i < jobs && !err && r->next < r->m->n; i++)
		if (!r->job[i].pid)
			err = start(r, &r->job[i], &r->m->run[r->next++]);
	return err;
}

static int run_all(struct runner *r)
{
	const struct timespec turn = { .tv_nsec = 200000000 };
	int err = fill(r), sig;

	while (r->going) {
		sig = sigtimedwait(&r->signals, NULL, &turn);
		if (sig > 0 && sig != SIGCHLD)
			stop(r, sig);
		reap(r);
		kill_late(r, loop_now());
		if (!r->stopped && !err)
			err = fill(r);
		if (err && !r->stopped)
			stop(r, SIGTERM);
	}
	return r->stopped && !err ? -EINTR : err;
}

/* --- the folder ------------------------------------------------------------------------------- */

static int open_root(struct runner *r)
{
	const char *tmp = getenv("TMPDIR"), *path = r->conf->artifacts;
	char made[PATH_MAX];
	int err = 0;

	if (!path) {
		snprintf(made, sizeof(made), "%s/lkvm-test.XXXXXX", tmp && *tmp ? tmp : "/tmp");
		path = made;
		if (!mkdtemp(made))
			err = errno;
	} else if (mkdir(path, 0777) && errno != EEXIST) {
		err = errno;
	}
	if (!err && !realpath(path, r->root))
		err = errno;
	if (err)
		log_err(NULL, "cannot make folder %s: %s", path, strerror(err));
	return -err;
}

/* A temporary one goes, with the files that we know the runs leave. */
static void close_root(struct runner *r)
{
	static const char *const names[] = { "stdout", "stderr", "console.log", "result.json" };
	char path[PATH_MAX + 32];

	if (r->conf->artifacts)
		return;
	for (unsigned i = 0; i < r->m->n; i++) {
		struct matrix_run *run = &r->m->run[i];

		for (unsigned k = 0; run->dir && k < sizeof(names) / sizeof(names[0]); k++) {
			snprintf(path, sizeof(path), "%s/%s", run->dir, names[k]);
			unlink(path);
		}
		if (run->dir)
			rmdir(run->dir);
		free(run->dir);
		run->dir = NULL;
	}
	if (rmdir(r->root))
		log_warn(NULL, "cannot remove %s: %s", r->root, strerror(errno));
}

int matrix_go(struct matrix *m, const struct matrix_conf *conf)
{
	struct runner *r = calloc(1, sizeof(*r));
	ssize_t n;
	int err;

	if (!r)
		return -ENOMEM;
	r->m = m;
	r->conf = conf;
	n = readlink("/proc/self/exe", r->self, sizeof(r->self) - 1);
	err = n < 0 ? -errno : open_root(r);
	if (err) {
		free(r);
		return err;
	}
	sigemptyset(&r->signals);
	sigaddset(&r->signals, SIGCHLD);
	sigaddset(&r->signals, SIGINT);
	sigaddset(&r->signals, SIGTERM);
	sigaddset(&r->signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &r->signals, &r->old);
	err = run_all(r);
	if (conf->finished)
		conf->finished(conf->opaque, m);
	close_root(r);
	sigprocmask(SIG_SETMASK, &r->old, NULL);
	free(r);
	return err;
}
