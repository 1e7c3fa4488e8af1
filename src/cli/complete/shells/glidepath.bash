# Completion of glidepath for bash: the program itself says what a word can be.

# The words up to the cursor in `typed`. Bash splits them at colons and equal signs, which are part of ours: what has no
# blank in front of it belongs to the word before.
__glidepath_typed() {
    local line=${COMP_LINE:0:COMP_POINT} word i
    typed=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        local glued=$((i > 0))
        while [[ $line == [[:blank:]]* ]]; do
            line=${line:1}
            glued=0
        done
        ((i == COMP_CWORD)) && word=$line
        if ((glued)); then
            typed[${#typed[@]} - 1]+=$word
        else
            typed[${#typed[@]}]=$word
        fi
        line=${line#"$word"}
    done
}

_glidepath() {
    local typed program current answer line value directives=0
    __glidepath_typed
    COMPREPLY=()
    program=${typed[0]}
    type -P "$program" >/dev/null || program=glidepath
    current=${typed[${#typed[@]} - 1]}
    answer=$("$program" __complete "${typed[@]:1}" 2>/dev/null) || return 0
    # Bash replaces only what stands behind the last colon or equal sign.
    local kept=${current%"${current##*[:=]}"}
    while IFS= read -r line; do
        if [[ $line == :* ]]; then
            directives=${line#:}
            continue
        fi
        value=${line%%$'\t'*}
        value=${value#"$kept"}
        [[ $value == *[[:space:]\'\"\\\$\`\(\)\&\;\|\<\>]* ]] && printf -v value %q "$value"
        COMPREPLY[${#COMPREPLY[@]}]=$value
    done <<<"$answer"
    if ((directives & 2)) && type compopt >/dev/null 2>&1; then
        compopt -o nospace
    fi
}

if ((BASH_VERSINFO[0] > 4 || (BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] >= 4))); then
    complete -o nosort -F _glidepath glidepath kubectl-glidepath
else
    complete -F _glidepath glidepath kubectl-glidepath
fi
