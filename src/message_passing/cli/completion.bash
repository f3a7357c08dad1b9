# bash completion of message-passing. Written by scripts/completion.py: change that.

_message_passing_files() {
    local word
    compopt -o filenames 2>/dev/null
    while read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$1")
}

_message_passing() {
    # bash cuts words at ':' and '=', so the line itself is looked at.
    local line="${COMP_LINE:0:COMP_POINT}" current previous words= kept= word first own= may= run=
    current="${line##*[[:space:]]}"
    previous="${line%"$current"}"
    previous="${previous%"${previous##*[![:space:]]}"}"
    previous="${previous##*[[:space:]]}"
    case "$current" in
        --*=*) previous="${current%%=*}" current="${current#*=}" ;;
    esac
    case "$COMP_WORDBREAKS" in
        # What stands before the last ':' is on the line already, and bash keeps it.
        *:*) kept="${current%"${current##*:}"}" ;;
    esac
    COMPREPLY=()
    # The first word, once it has been typed; `-` when it is no command.
    first="${line#"${line%%[![:space:]]*}"}"
    first="${first#"${first%%[[:space:]]*}"}"
    first="${first#"${first%%[![:space:]]*}"}"
    case "$first" in
        *[[:space:]]*) first="${first%%[[:space:]]*}" ;;
        *) first= ;;
    esac
    case "$first" in
        check) own='--help --json --connect --timeout' may='FILE' ;;
        create) own='--help --format' may='Aggregate All Bzip2 Callback Crypt::CBC Dedupe Delay Enrich Fallback File FileTail Follow Gzip IO::Handle JetStream JSON JSONLines Kafka Keep Key Mangle Multiline Null Parse Redact Redis Redis::Streams Regexp Remove Rename Retry Route Sample Script Set Socket::UDP Stamp STDERR STDIN STDOUT T Template Test Throttle ToLogstash Where ZeroMQ Zstd' ;;
        describe) own='--help --json' may='Aggregate All Bzip2 Callback Crypt::CBC Dedupe Delay Enrich Fallback File FileTail Follow Gzip IO::Handle JetStream JSON JSONLines Kafka Keep Key Mangle Multiline Null Parse Redact Redis Redis::Streams Regexp Remove Rename Retry Route Sample Script Set Socket::UDP Stamp STDERR STDIN STDOUT T Template Test Throttle ToLogstash Where ZeroMQ Zstd' ;;
        doctor) own='--help --options --socket-type --node --token --no-canary --timeout --json --curve-secret-key --curve-server-key --curve-allowed-keys --plain-username --plain-password' may='' ;;
        graph) own='--help --format' may='FILE' ;;
        keys) own='--help --folder --json' may='new allow list revoke' ;;
        list) own='--help --json' may='inputs decoders filters encoders outputs' ;;
        losses) own='--help --since --until --node --token --json' may='' ;;
        replay) own='--help --to --config --at --socket-type --rate --reason --resume --timeout --curve-secret-key --curve-server-key --curve-allowed-keys --plain-username --plain-password' may='' ;;
        run) own='' may='FILE' ;;
        schema) own='--help' may='' ;;
        send) own='--help --connect --bind --socket-type --level --field --json --tag --timeout --linger --curve-secret-key --curve-server-key --curve-allowed-keys --plain-username --plain-password' may='' ;;
        spool) own='--help --json' may='' ;;
        tail) own='--help --level --field --search --where --follow-sender --format --json --color --colour --count --at --token --bind --subscribe --curve-secret-key --curve-server-key --curve-allowed-keys --plain-username --plain-password' may='' ;;
        test) own='--help --json' may='FILE' ;;
        top) own='--help --token --interval --sort --where --once --json' may='' ;;
        trace) own='--help --at --json' may='' ;;
        ?*) first=- ;;
    esac
    case "$first ${previous//-/_}" in
        'check __timeout') words='' ;;
        'create __format') words='toml yaml json' ;;
        'doctor __options') words='' ;;
        'doctor __socket_type') words='PUB PUSH DEALER ROUTER' ;;
        'doctor __node') words='' ;;
        'doctor __token') words='' ;;
        'doctor __timeout') words='' ;;
        'doctor __curve_secret_key') words='FILE' ;;
        'doctor __curve_server_key') words='FILE' ;;
        'doctor __curve_allowed_keys') words='FILE' ;;
        'doctor __plain_username') words='' ;;
        'doctor __plain_password') words='' ;;
        'graph __format') words='text mermaid svg' ;;
        'keys __folder') words='FILE' ;;
        'losses __since') words='' ;;
        'losses __until') words='' ;;
        'losses __node') words='' ;;
        'losses __token') words='' ;;
        'replay __to') words='' ;;
        'replay __config') words='' ;;
        'replay __at') words='' ;;
        'replay __socket_type') words='DEALER PUSH' ;;
        'replay __rate') words='' ;;
        'replay __reason') words='' ;;
        'replay __resume') words='FILE' ;;
        'replay __timeout') words='' ;;
        'replay __curve_secret_key') words='FILE' ;;
        'replay __curve_server_key') words='FILE' ;;
        'replay __curve_allowed_keys') words='FILE' ;;
        'replay __plain_username') words='' ;;
        'replay __plain_password') words='' ;;
        'send __connect') words='' ;;
        'send __bind') words='' ;;
        'send __socket_type') words='PUB PUSH' ;;
        'send __level') words='' ;;
        'send __field') words='' ;;
        'send __tag') words='' ;;
        'send __timeout') words='' ;;
        'send __linger') words='' ;;
        'send __curve_secret_key') words='FILE' ;;
        'send __curve_server_key') words='FILE' ;;
        'send __curve_allowed_keys') words='FILE' ;;
        'send __plain_username') words='' ;;
        'send __plain_password') words='' ;;
        'tail __level') words='' ;;
        'tail __field') words='' ;;
        'tail __search') words='' ;;
        'tail __where') words='' ;;
        'tail __follow_sender') words='' ;;
        'tail __format') words='' ;;
        'tail __color') words='auto always never' ;;
        'tail __colour') words='auto always never' ;;
        'tail __count') words='' ;;
        'tail __at') words='' ;;
        'tail __token') words='' ;;
        'tail __subscribe') words='' ;;
        'tail __curve_secret_key') words='FILE' ;;
        'tail __curve_server_key') words='FILE' ;;
        'tail __curve_allowed_keys') words='FILE' ;;
        'tail __plain_username') words='' ;;
        'tail __plain_password') words='' ;;
        'top __token') words='' ;;
        'top __interval') words='' ;;
        'top __sort') words='lost idle received name' ;;
        'top __where') words='' ;;
        'trace __at') words='' ;;
        *' __input') words='FileTail JetStream Kafka Null Redis Redis::Streams Socket::UDP STDIN ZeroMQ' ;;
        *' __output') words='Callback File IO::Handle JetStream Kafka Null Redis Redis::Streams Socket::UDP STDERR STDOUT Test ZeroMQ' ;;
        *' __filter') words='Aggregate All Dedupe Delay Enrich Fallback Follow Keep Key Mangle Multiline Null Parse Redact Regexp Remove Rename Retry Route Sample Script Set Stamp T Throttle ToLogstash Where' ;;
        *' __decoder') words='Bzip2 Crypt::CBC Gzip JSON JSONLines Null Zstd' ;;
        *' __encoder') words='Bzip2 Crypt::CBC Gzip JSON JSONLines Null Template Zstd' ;;
        *' __error') words='Callback File IO::Handle JetStream Kafka Null Redis Redis::Streams Socket::UDP STDERR STDOUT Test ZeroMQ' ;;
        *' __error_encoder') words='Bzip2 Crypt::CBC Gzip JSON JSONLines Null Template Zstd' ;;
        *' __io_priority') words='none be rt idle' ;;
        *' __completion') words='bash zsh' ;;
        *' __describe') words='Aggregate All Bzip2 Callback Crypt::CBC Dedupe Delay Enrich Fallback File FileTail Follow Gzip IO::Handle JetStream JSON JSONLines Kafka Keep Key Mangle Multiline Null Parse Redact Redis Redis::Streams Regexp Remove Rename Retry Route Sample Script Set Socket::UDP Stamp STDERR STDIN STDOUT T Template Test Throttle ToLogstash Where ZeroMQ Zstd' ;;
        *" __user")
            while read -r word; do COMPREPLY+=("$word"); done < <(compgen -u -- "$current")
            return ;;
        *' __pid_file'|*' __control'|*' __state_dir'|*' __configfile')
            _message_passing_files "$current"
            return ;;
        *_options) return ;;
        *)
            case "$current" in
                --*-*) run='--input --input-options --output --output-options --filter --filter-options --decoder --decoder-options --encoder --encoder-options --error --error-options --error-encoder --error-encoder-options --daemonize --quiet --pid-file --user --io-priority --control --http --http-token --name --state-dir --ledger-days --ledger-bytes --configfile --workers --report-limit --dead-letters --help --version --describe --completion' ;;
                *) run='--input --input_options --output --output_options --filter --filter_options --decoder --decoder_options --encoder --encoder_options --error --error_options --error_encoder --error_encoder_options --daemonize --quiet --pid_file --user --io_priority --control --http --http_token --name --state_dir --ledger_days --ledger_bytes --configfile --workers --report_limit --dead_letters --help --version --describe --completion' ;;
            esac
            case "$first/$current" in
                -/*|/-*) words=$run ;;
                /*) words="check create describe doctor graph keys list losses replay run schema send spool tail test top trace $run" ;;
                check/-*|graph/-*|run/-*) words="$own $run" ;;
                */-*) words=$own ;;
                *) words=$may ;;
            esac ;;
    esac
    if [ "$words" = FILE ]; then
        _message_passing_files "$current"
        return
    fi
    for word in $words; do
        case "$word" in
            "$current"*) COMPREPLY+=("${word#"$kept"}") ;;
        esac
    done
}

complete -F _message_passing message-passing message-pass
