//! Privileges: what rights processes have.

use crate::options::Sandbox;
use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Privileges";
/// As long as the C library lets the name of a user be.
const USER_BYTES_MAX: usize = 255;

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "user",
        topic: TOPIC,
        kind: Kind::Name { bytes_max: USER_BYTES_MAX },
        default: "",
        unit: "",
        why: "Empty = the user that starts the server. One who has to start it as root, for a port \
              below 1024 or a private key, names another one.",
        effect: "The user of workers, a name or a number, before any code of a handler runs; also \
                 its groups, unless `group` and `groups` say otherwise. The server has to be \
                 started as root; of master and manager says `master_user`. An unknown name is an \
                 error at the start, and a worker that keeps a right ends (S27).",
        access: field!(user),
    },
    OptionInfo {
        name: "group",
        topic: TOPIC,
        kind: Kind::Name { bytes_max: USER_BYTES_MAX },
        default: "",
        unit: "",
        why: "Empty = the primary group of `user`.",
        effect: "The group of workers, a name or a number; also without `user`. A `user` that is a \
                 number without an entry in the database needs it (S27).",
        access: field!(group),
    },
    OptionInfo {
        name: "groups",
        topic: TOPIC,
        kind: Kind::Names,
        default: "",
        unit: "",
        why: "Empty = all groups that `user` is in.",
        effect: "The supplementary groups of workers, names or numbers between commas, instead of \
                 those of `user`. None of root is kept in any case (S27).",
        access: field!(groups),
    },
    OptionInfo {
        name: "chroot",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "Empty = none: what handlers open has to be in there, also time zones and \
              certificates of authorities.",
        effect: "A directory, absolute, that is all that workers see of the file system, and in \
                 which they are. The server has to be started as root; set `user` too, because \
                 root can leave it. Log, sockets and shared memory were opened before (S27).",
        access: field!(chroot),
    },
    OptionInfo {
        name: "no_new_privileges",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "false",
        unit: "",
        why: "A handler may have its reasons to start a set-user-id program, such as `sudo` or \
              `ping`.",
        effect: "Programs that workers start never have more rights than the worker: set-user-id \
                 bits and capabilities of files have no effect (S27).",
        access: field!(no_new_privileges),
    },
    OptionInfo {
        name: "capabilities",
        topic: TOPIC,
        kind: Kind::Capabilities,
        default: "",
        unit: "",
        why: "Empty = those of `user`: one that is not root has none. `none` for a server that \
              has to stay root; a name for the one thing that its handlers do as root.",
        effect: "The capabilities that workers have, and no others, also when they become \
                 another user's. Programs that they start have at most these, if those are root's \
                 or have capabilities of their own, and else none. Needs `CAP_SETPCAP` or \
                 `no_new_privileges`; a worker that keeps another one ends (S27).",
        access: field!(capabilities),
    },
    OptionInfo {
        name: "master_user",
        topic: TOPIC,
        kind: Kind::Name { bytes_max: USER_BYTES_MAX },
        default: "",
        unit: "",
        why: "Empty = the user that starts the server: root reads keys and writes files that \
              others cannot. A server that needs root only for its listeners names another one.",
        effect: "The user, a name or a number, that master, manager and spare become when the \
                 listeners are bound, with its groups. The master has no capability then (or \
                 CAP_KILL, to end programs of another `user`), managers only those by which they \
                 make workers; workers without `user` are this user's. Files that the server \
                 names are opened as this user: one that cannot be is an error at the start (S27).",
        access: field!(master_user),
    },
    OptionInfo {
        name: "master_group",
        topic: TOPIC,
        kind: Kind::Name { bytes_max: USER_BYTES_MAX },
        default: "",
        unit: "",
        why: "Empty = the primary group of `master_user`.",
        effect: "The group of master, manager and spare, a name or a number. A `master_user` that \
                 is a number without an entry in the database needs it (S27).",
        access: field!(master_group),
    },
    OptionInfo {
        name: "sandbox",
        topic: TOPIC,
        kind: Kind::Choice(Sandbox::WORDS),
        default: "off",
        unit: "",
        why: "A second wall around who reads what strangers send. It needs Landlock (Linux 5.13), \
              which not every machine has switched on, and it stays when `run` returns.",
        effect: "`master`: when it serves, the master makes the system calls of a server that \
                 serves and no others (no programs, forks, new listeners, changes of ids), and \
                 opens only the files that options name, in their directories. Others answer EPERM \
                 or EACCES, and the log says so. `USR2` is refused. Other processes have none. \
                 Where it cannot be it is an error at the start.",
        access: field!(sandbox),
    },
];
